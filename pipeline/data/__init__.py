"""From files to tf.data: manifest, sources, store, sampling, augmentation, data set."""
