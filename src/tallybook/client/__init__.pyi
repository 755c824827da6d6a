# The names of this door, for type checkers: those of __init__.py.
from tallybook.client.application import Client as Client
from tallybook.client.over_http import HttpTransport as HttpTransport
from tallybook.client.transports import TransportAnswer as TransportAnswer, TransportFailed as TransportFailed
