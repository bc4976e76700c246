"""`seedbed sweep`: one command under several seeds; mean, spread and confidence interval of what it prints or writes.

`plan` is what to run, `runs` runs it and goes on where a sweep was cut off, `metric` reads curves, `summary` sums them
up, `table` shows and writes what came of it. `figure` lays out a plot; `svg` writes it, `png` draws it if Pillow is
there, `page` puts it all on one HTML page.
"""
