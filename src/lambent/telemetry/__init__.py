"""THE LISTENERS: facts fan out to logs, metrics, traces and bills.

`stream.FactStream` takes facts from the invocation path without ever making it wait; each listener gets them
in batches, in order, in a task of its own. The path knows nothing of who listens.
"""
