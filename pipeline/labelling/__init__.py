"""What a few labels are good for: a head that is fitted in seconds, and what to label next."""
