"""The checks that ``scripts/check_tree.py`` runs, one module per subject."""
