"""Reads transcripts and writes evidence; never runs a model.

store's transcripts -> evidence.py    one table of attempts, one of findings
                    -> tables.py      the CSVs, with the intervals of statistics.py
                    -> verify.py      the CSVs on disk: written whole, compared cell by cell
                    -> summary.py     the table in the terminal
                    -> compare.py     two models head to head: difference.py, conditions.py
                    -> plan.py        how many runs would settle it, by power.py
                    -> histogram.py   the failure modes, in the terminal and as pictures
show.py prints a single transcript.
"""
