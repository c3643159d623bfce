"""The doctor's confusion matrix, ``docs/diagnosis.md``: made of the features, and of reports of the profile diagnosis.

This package stands among the tests because it imports faults and reports, which no layer may do together.
"""
