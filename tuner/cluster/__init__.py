"""A Ray of one's own, or a running one joined: started quietly, on 127.0.0.1, and left clean.

Imported by all rooms above. A new switch of Ray's goes into `environment`, a new signal into `signals`.
"""
