"""A Ray of one's own, or a running one joined: started quietly, on 127.0.0.1, and left clean.

`dataset` and every room above it may import this room; it imports `runs`. A new switch of Ray goes into
`environment`, a new signal into `signals`, and what has to hold while Ray runs into `session`.
"""
