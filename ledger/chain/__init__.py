"""What is recorded: transactions, blocks, certificates, proofs and the store that holds them."""
