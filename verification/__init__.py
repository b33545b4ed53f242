"""Reads transcripts and writes evidence; never runs a model.

store's transcripts -> totals.py      a transcript's totals, and its findings, in which stands
                                      what the detectors/ see: one file a pattern
                    -> reading.py     the same for many transcripts, on all processors
                    -> index.py       kept, so that only what is new need be read again
                    -> evidence.py    attempts, runs and findings: whole, or in parts
                    -> tables.py      the CSVs, with the intervals of statistics.py
                    -> verify.py      the CSVs on disk: written whole, compared cell by cell
                    -> summary.py     the table in the terminal
                    -> findings.py    how many runs show each pattern
                    -> plots/         one file a picture: terminal, PNG, SVG
                    -> compare.py     two models head to head: difference.py, conditions.py
                    -> plan.py        how many runs would settle it, by power.py
                    -> leaderboard.py campaigns side by side, ranked
                    -> predictions.py what was foretold, scored
                    -> claims.py      the author's prose, its figures tied to cells
                    -> report/        what is published: Markdown, HTML, pages of transcripts
                    -> export/        transcripts in other programs' formats
another program's log -> imports/     a campaign of ours
show.py prints a single transcript.
"""
