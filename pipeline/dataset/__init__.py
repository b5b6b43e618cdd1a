"""A prepared data set, or a table of video files, becomes batches of clips.

In: records or files. Out: tf.data batches of (B, T, H, W, 3) frames with a mask and labels.
`sampling` says which frames, `clips` decodes just these, `augment` changes them, clip by clip.
"""
