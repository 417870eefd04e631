"""What a comparison is made of: finalists, their answers, scores, verdicts and words. Nothing here trains or draws."""
