"""Using a trained run: export, and classifying video files."""
