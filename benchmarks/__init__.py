"""Scripts behind every claim about speed and quality; `results/` holds what they measured."""
