"""Runs a program with uvloop in place of asyncio's own loop: on_uvloop.py PROGRAM ARGUMENT..."""

import asyncio
import runpy
import sys
import warnings

import uvloop

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of policies, from 3.14 on
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
