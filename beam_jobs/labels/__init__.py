"""From annotations to labels closed under WordNet, and why each."""
