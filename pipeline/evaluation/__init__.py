"""The worth of a trained model: metrics, the evaluation of a run, its report."""
