"""What a comparison is made of: finalists, their answers, scores, verdicts and words. Nothing here trains or draws.

All of `evaluation` may import it, and `release` for the model card. `evidence` has the types that all share. A new
column of the table goes into `judging` and `table`, a new sentence into `conclusion`.
"""
