-- A very small company, from 1 January to 9 March 2026. Times without a zone are UTC; the book is in Berlin.
--     sqlite3 app.db < app.sql
create table users (id integer primary key, created_at text not null, plan text, country text);
insert into users
  with recursive n (i) as (select 1 union all select i + 1 from n where i < 120)
  select i, datetime('2026-01-01 07:00', '+' || (i * 817) || ' minutes'),
         case when i % 4 = 0 then 'team' else 'pro' end, case i % 3 when 0 then 'DE' when 1 then 'AT' end
  from n;
create index users_created_at on users (created_at);

create table invoices (id integer primary key, paid_at text, status text, plan text, amount decimal(10, 2));
insert into invoices
  with recursive n (i) as (select 1 union all select i + 1 from n where i < 300)
  select i, datetime('2026-01-01 08:00', '+' || (i * 325) || ' minutes'),
         case when i % 10 = 0 then 'open' else 'paid' end, case when i % 4 = 0 then 'team' else 'pro' end, 19.9 + i % 7
  from n;

create table api_calls (called_at text, user_id integer, plan text, latency_ms real);
insert into api_calls
  with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000),
  calls as (select i, 1 + (i * i) % 23 + i / 45 * 2 as user_id from n)
  select datetime('2026-01-01 00:30', '+' || (i * 32) || ' minutes'), user_id,
         case when user_id % 4 = 0 then 'team' else 'pro' end, 20 + (i * 37) % 400 / 2.0
  from calls;
create index api_calls_called_at on api_calls (called_at);

-- A row holds from started_at until cancelled_at.
create table subscriptions (id integer primary key, account text, plan text, mrr decimal(10, 2), started_at text, cancelled_at text);
insert into subscriptions (account, plan, mrr, started_at, cancelled_at) values
  ('acme', 'team', 250.00, '2025-11-03 10:00:00', null),
  ('bolt', 'pro', 49.90, '2025-12-15 09:30:00', '2026-02-10 12:00:00'),
  ('cory', 'pro', 49.90, '2026-01-20 16:45:00', null),
  ('dune', 'team', 180.00, '2026-02-02 08:15:00', null),
  ('echo', 'pro', 99.90, '2026-02-25 11:00:00', '2026-02-25 10:00:00');

-- One row a day and account. On 31 January the job that writes it missed account 2; account 3 left on 20 February.
create table daily_seats (day text, account_id integer, seats integer, primary key (day, account_id));
insert into daily_seats
  with recursive d (day) as (select '2026-01-01' union all select date(day, '+1 day') from d where day < '2026-03-09')
  select day, account, seats
  from d, (select 1 as account, 100 as seats union all select 2, 50 union all select 3, 10)
  where not (account = 2 and day = '2026-01-31') and not (account = 3 and day > '2026-02-20');

create table tickets (id integer primary key, opened_at text, closed_at text, priority text);
insert into tickets (opened_at, closed_at, priority) values
  ('2026-03-01 10:00:00', null, 'high'), ('2026-03-05 10:00:00', '2026-03-06 10:00:00', 'low'), ('2026-03-09 18:00:00', null, 'low');

-- A tool that reports only how many different people used a feature each day.
create table feature_users (day text, feature text, people integer);
insert into feature_users
  with recursive d (day) as (select '2026-03-02' union all select date(day, '+1 day') from d where day < '2026-03-08')
  select day, 'search', 5 + (julianday(day) - julianday('2026-03-02')) % 3 from d;

-- A counter that is sent again when it grew: only the latest of a day and account counts.
create table reported_calls (day text, account text, calls integer, received_at text);
insert into reported_calls values
  ('2026-03-02', 'acme', 100, '2026-03-02 12:00:00'), ('2026-03-02', 'bolt', 50, '2026-03-02 12:05:00'),
  ('2026-03-02', 'acme', 110, '2026-03-02 23:00:00'), ('2026-03-03', 'acme', 90, '2026-03-03 22:00:00');
