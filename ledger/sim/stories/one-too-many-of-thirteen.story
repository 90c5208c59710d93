# Five of thirteen are gone: one more than may fail. Nothing is decided until one is back.
network 13 validators
start all
submit A as one
expect final one within 30s
crash I J K L M
submit B as two
expect standstill for 30s
expect reason A "Quorum lost: 8 of 13"
start M
expect final two within 90s
