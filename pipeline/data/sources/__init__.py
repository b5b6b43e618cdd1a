"""Where labelled videos come from: each source returns a Manifest."""
