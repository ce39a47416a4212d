"""The guided main job: a small network trained on real photographs, and a walk through featmap with it.

`crops` makes the data set "which photograph is this crop from?" out of scikit-image's bundled photographs, `train`
trains a small network on it and keeps it for the next time. Nothing is downloaded.
"""
