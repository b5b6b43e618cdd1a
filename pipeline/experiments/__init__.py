"""Many runs for one answer: cross-validation, the search of settings, what each stage is worth."""
