"""`seedbed sweep`: one command under several seeds; mean, spread and confidence interval of what it prints or writes.

`runs` runs the seeds and goes on where a sweep was cut off, `metric` reads curves, `summary` sums them up; `figure`
lays out a plot of them; `svg` writes it, `png` draws it if Pillow is there, `page` puts it all on one HTML page.
"""
