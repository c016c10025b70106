"""What is measured of others: their pattern, built from packages; runs in an environment of their own, without Earmark.

`python -m venv PEERS && PEERS/bin/pip install -c constraints.txt -r benchmarks/speed/peers/requirements.txt` makes it.
"""
