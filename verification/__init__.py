"""Reads transcripts and writes evidence; never runs a model.

store's transcripts -> evidence.py    one table of attempts, one of findings, in which stands what
                                      the detectors/ see: one file a pattern
                    -> tables.py      the CSVs, with the intervals of statistics.py
                    -> verify.py      the CSVs on disk: written whole, compared cell by cell
                    -> summary.py     the table in the terminal
                    -> findings.py    how many runs show each pattern
                    -> plots/         one file a picture: terminal, PNG, SVG
                    -> leaderboard.py campaigns side by side, ranked
                    -> predictions.py what was foretold, scored
show.py prints a single transcript.
"""
