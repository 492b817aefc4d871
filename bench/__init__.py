"""`make bench`: performance measured as ratios in one run, with plots. Never a timed assertion in a test."""
