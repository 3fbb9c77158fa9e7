"""Send chunks and single writes so that none takes effect twice, whatever fails."""
