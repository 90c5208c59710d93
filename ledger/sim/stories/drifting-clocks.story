# Clocks that gain and lose a second a minute.
network 4 validators
start all
clock A drift 16000ppm
clock B drift -16000ppm
submit A x 2 as a
run 5min
submit B x 2 as b
expect final all within 60s
