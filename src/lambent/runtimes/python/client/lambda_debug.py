"""Waiting for a debugger, before the function is loaded. Imported only when one is wanted."""

import os
import sys

READY_DESCRIPTOR = 5  # on which the platform hears that a debugger may come


def wait_for_debugger(port, place):
    """Listen for a debugger on a port of the loopback, and return when one has attached and is ready.

    Args:
        port: the port.
        place: directory with debugpy.
    """
    # It would warn of modules that are part of the interpreter, in which nobody sets breakpoints here.
    os.set_inheritable(READY_DESCRIPTOR, False)
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    sys.path.append(place)
    try:
        import debugpy

        # Its adapter, a program of its own, does not run on older Pythons; the debugger does its work there.
        debugpy.listen(("127.0.0.1", port), in_process_debug_adapter=sys.version_info < (3, 10))
        os.write(READY_DESCRIPTOR, b"!")
        debugpy.wait_for_client()
    finally:
        os.close(READY_DESCRIPTOR)
        # The function finds what it would find otherwise.
        sys.path.remove(place)
        del os.environ["PYDEVD_DISABLE_FILE_VALIDATION"]
