"""Visits that are booked: slots, bookings from hold to payment, and the days of crews."""
