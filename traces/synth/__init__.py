"""Parts of the synthetic network; ``traces.synthesis`` puts them together. See docs/synthetic.md."""
