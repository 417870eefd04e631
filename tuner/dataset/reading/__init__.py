"""From the files of a folder to a scan: which are images, of which class and group, and what was passed over.

All of `dataset` may import it, and it imports nothing of `dataset` but itself. What may stand in a table goes into
`table`, how folders may lie into `layout`, what is kept of a look at a file into `memo`.
"""
