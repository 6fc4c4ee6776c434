"""A MACHINE that runs execution environments.

The node turns a function version into a running environment (code unpacked, walls up, runtime started), hands it
one invocation at a time and ends it. It decides nothing about how many environments there are or who gets one:
that is `lambent.invoke`'s business. Its verbs are start, invoke, stop and capacity.
"""
