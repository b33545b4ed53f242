CREATE TABLE notes (topic TEXT PRIMARY KEY, note TEXT NOT NULL);
CREATE TABLE kiosks (id INTEGER PRIMARY KEY, city TEXT NOT NULL, utc_offset_minutes INTEGER NOT NULL, opened_on TEXT NOT NULL);
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, is_test INTEGER);
CREATE TABLE sales_feed (id INTEGER PRIMARY KEY, received_at TEXT NOT NULL, receipt TEXT NOT NULL, kiosk_id INTEGER NOT NULL REFERENCES kiosks (id), customer_id INTEGER REFERENCES customers (id), sold_at TEXT NOT NULL, cents INTEGER NOT NULL);
CREATE TABLE refunds (id INTEGER PRIMARY KEY, receipt TEXT NOT NULL, paid_out_at TEXT NOT NULL, cents INTEGER);
INSERT INTO notes (topic, note) VALUES
  ('clocks', 'All times in the database are UTC. A kiosk''s local time is UTC plus kiosks.utc_offset_minutes, all year round: none of them changes its clocks.'),
  ('deliveries', 'A sale is known by its receipt. The tills send a sale again when they are unsure that it arrived, so one sale may stand in several rows of sales_feed, received at different times and alike otherwise. Sales with different receipts are different sales, however alike they look.'),
  ('customers', 'A sale without a customer was paid in cash, and counts. Customers with is_test = 1 belong to the staff, who try the tills out: their sales do not count. The flag was never filled in for many real customers.'),
  ('refunds', 'Where refunds.cents is not filled in, the whole sale was refunded. A sale may be refunded in parts, one row each. A refund is taken off the sale it belongs to, whenever it was paid out.'),
  ('money', 'All amounts are in euro cents.');
INSERT INTO kiosks (id, city, utc_offset_minutes, opened_on) VALUES
«rows.kiosks»;
INSERT INTO customers (id, name, is_test) VALUES
«rows.customers»;
INSERT INTO sales_feed (id, received_at, receipt, kiosk_id, customer_id, sold_at, cents) VALUES
«rows.sales_feed»;
INSERT INTO refunds (id, receipt, paid_out_at, cents) VALUES
«rows.refunds»;
