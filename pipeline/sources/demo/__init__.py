"""The demo data set: articulated human figures acting, rendered into real video files.

Ten actions, each by every figure. The members of an order pair are the same performances played
forwards and backwards, so that no frame, and no set of frames, tells which of the two it is.
"""
