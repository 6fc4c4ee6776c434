"""THE FRONT DOOR: HTTP in, HTTP out.

`dispatch` is the way of a request on one screen: route → authenticate → parse → operation → serialize. It knows
the wire and the services' tables of operations, and nothing of what they do.
"""
