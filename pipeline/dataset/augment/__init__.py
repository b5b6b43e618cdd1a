"""Random changes of training clips: drawn in NumPy, applied in TensorFlow inside tf.data."""
