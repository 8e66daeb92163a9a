"""Parse, wire, call one function, print. No decision of the product is made here. Open `main.py` first."""
