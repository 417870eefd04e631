"""From the files of a folder to a scan: which are images, of which class and group, and what was passed over."""
