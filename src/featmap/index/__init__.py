"""Answers for a whole dataset, on disk: the extremes of each map on every image, and questions about them.

A build reads the images once. `entries` and `images` say which there are and read them, `wish`, `describe` and `budget`
what is kept of them; `measure` measures a block, `totals` adds blocks up; `layout`, `writer`, `snapshot` and `storage`
keep them on disk; `local` and `ray_engine` are where the work is done, `build` puts it together. The questions read a
snapshot: `top`, `audit`, `similar`, `distribution`, `selectivity`, `compare`, `verify`.
"""
