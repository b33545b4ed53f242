"""Fairtrial's harness: runs a campaign, plays each run, writes its transcript.

Importing it is free: every module is imported where it is used.
"""

__version__ = "0.1.0"
