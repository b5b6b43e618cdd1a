"""How good a trained model is: metrics, the evaluation of a run, its report."""
