BEGIN TRANSACTION;
CREATE TABLE coverage (
    metric TEXT NOT NULL, definition TEXT NOT NULL, day TEXT NOT NULL, run INTEGER, instant TEXT,
    added INTEGER NOT NULL REFERENCES versions,
    PRIMARY KEY (metric, definition, day)) WITHOUT ROWID;
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2023-12-20',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2023-12-21',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2023-12-22',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2023-12-23',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2023-12-24',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2023-12-25',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2023-12-26',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2023-12-27',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2023-12-28',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2023-12-29',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2023-12-30',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2023-12-31',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2024-01-01',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2024-01-02',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2024-01-03',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2024-01-04',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2024-01-05',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2024-01-06',1,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2024-01-07',2,NULL,1);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2024-01-08',2,NULL,2);
INSERT INTO "coverage" VALUES('payers','4dcae5c8fd16','2024-01-09',2,NULL,2);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2023-12-20',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2023-12-21',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2023-12-22',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2023-12-23',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2023-12-24',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2023-12-25',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2023-12-26',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2023-12-27',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2023-12-28',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2023-12-29',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2023-12-30',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2023-12-31',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2024-01-01',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2024-01-02',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2024-01-03',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2024-01-04',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2024-01-05',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2024-01-06',1,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2024-01-07',2,NULL,1);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2024-01-08',2,NULL,2);
INSERT INTO "coverage" VALUES('revenue','c65973ea33f4','2024-01-09',2,NULL,2);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2023-12-20',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2023-12-21',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2023-12-22',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2023-12-23',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2023-12-24',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2023-12-25',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2023-12-26',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2023-12-27',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2023-12-28',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2023-12-29',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2023-12-30',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2023-12-31',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2024-01-01',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2024-01-02',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2024-01-03',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2024-01-04',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2024-01-05',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2024-01-06',1,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2024-01-07',2,NULL,1);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2024-01-08',2,NULL,2);
INSERT INTO "coverage" VALUES('signups','6ce956de7ff2','2024-01-09',2,NULL,2);
INSERT INTO "coverage" VALUES('users_today','5669bd6db695','2024-01-07',1,'2024-01-08T06:00:00Z',1);
INSERT INTO "coverage" VALUES('users_today','5669bd6db695','2024-01-09',2,'2024-01-10T06:00:00Z',2);
CREATE TABLE definitions (
    metric TEXT NOT NULL, definition TEXT NOT NULL, declared TEXT NOT NULL, body TEXT NOT NULL,
    created TEXT NOT NULL, used TEXT NOT NULL,
    PRIMARY KEY (metric, definition));
INSERT INTO "definitions" VALUES('signups','6ce956de7ff2','6f214701de2a','{"metric":{"name":"signups","kind":"flow","source":"app","table":"users","sql":null,"where":null,"time":"created_at","stored":null,"stored_zone":null,"from_":null,"until":null,"until_inclusive":false,"measure":"count(*)","function":null,"by":["plan"],"series":[],"daily_aggregate":false,"received":null,"carry":0,"over_time":null,"unit":null,"title":null,"description":null,"format":null,"decimals":null,"max_series":100000,"renamed_from":null,"snapshot_grace":43200.0,"start":null,"lookback":null,"parsed":{"text":"count ( * )","shell":["slot",0],"slots":[{"agg":"count","args":[],"filter":null,"q":null,"counts_null":false}],"operands":[]},"function_hash":null},"definition":"6ce956de7ff2","key":"signups","zone":"Europe/Berlin","forms":{"time.created_at":"text_space UTC","slot.0":"integer"},"slots":[{"type":"integer","ids":"","k":0.0}]}','2024-01-08T06:00:00.000000Z','2024-01-10T06:00:00.000000Z');
INSERT INTO "definitions" VALUES('revenue','c65973ea33f4','81f0a091f151','{"metric":{"name":"revenue","kind":"flow","source":"app","table":"invoices","sql":null,"where":null,"time":"paid_at","stored":null,"stored_zone":null,"from_":null,"until":null,"until_inclusive":false,"measure":"sum(amount)","function":null,"by":["plan"],"series":[],"daily_aggregate":false,"received":null,"carry":0,"over_time":null,"unit":null,"title":null,"description":null,"format":null,"decimals":null,"max_series":100000,"renamed_from":null,"snapshot_grace":43200.0,"start":null,"lookback":null,"parsed":{"text":"sum ( amount )","shell":["slot",0],"slots":[{"agg":"sum","args":["amount"],"filter":null,"q":null,"counts_null":false}],"operands":[]},"function_hash":null},"definition":"c65973ea33f4","key":"revenue","zone":"Europe/Berlin","forms":{"time.paid_at":"text_space UTC","slot.0":"decimal"},"slots":[{"type":"decimal","ids":"","k":0.0}]}','2024-01-08T06:00:00.000000Z','2024-01-10T06:00:00.000000Z');
INSERT INTO "definitions" VALUES('payers','4dcae5c8fd16','6186ea75bd6e','{"metric":{"name":"payers","kind":"flow","source":"app","table":"invoices","sql":null,"where":null,"time":"paid_at","stored":null,"stored_zone":null,"from_":null,"until":null,"until_inclusive":false,"measure":"count(distinct plan)","function":null,"by":[],"series":[],"daily_aggregate":false,"received":null,"carry":0,"over_time":null,"unit":null,"title":null,"description":null,"format":null,"decimals":null,"max_series":100000,"renamed_from":null,"snapshot_grace":43200.0,"start":null,"lookback":null,"parsed":{"text":"count ( distinct plan )","shell":["slot",0],"slots":[{"agg":"count_distinct","args":["plan"],"filter":null,"q":null,"counts_null":false}],"operands":[]},"function_hash":null},"definition":"4dcae5c8fd16","key":"payers","zone":"Europe/Berlin","forms":{"time.paid_at":"text_space UTC","slot.0":"integer hash"},"slots":[{"type":"integer","ids":"hash","k":0.0}]}','2024-01-08T06:00:00.000000Z','2024-01-10T06:00:00.000000Z');
INSERT INTO "definitions" VALUES('users_today','5669bd6db695','6a76a64bb415','{"metric":{"name":"users_today","kind":"level","source":"app","table":"users","sql":null,"where":null,"time":null,"stored":null,"stored_zone":null,"from_":null,"until":null,"until_inclusive":false,"measure":"count(*)","function":null,"by":[],"series":[],"daily_aggregate":false,"received":null,"carry":0,"over_time":null,"unit":null,"title":null,"description":null,"format":null,"decimals":null,"max_series":100000,"renamed_from":null,"snapshot_grace":43200.0,"start":null,"lookback":null,"parsed":{"text":"count ( * )","shell":["slot",0],"slots":[{"agg":"count","args":[],"filter":null,"q":null,"counts_null":false}],"operands":[]},"function_hash":null},"definition":"5669bd6db695","key":"users_today","zone":"Europe/Berlin","forms":{"slot.0":"integer"},"slots":[{"type":"integer","ids":"","k":0.0}]}','2024-01-08T06:00:00.000000Z','2024-01-10T06:00:00.000000Z');
CREATE TABLE deliveries (
    delivery TEXT PRIMARY KEY, version INTEGER NOT NULL, delivered TEXT NOT NULL, state TEXT NOT NULL DEFAULT '{}');
CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, metric TEXT NOT NULL,
    first_day TEXT NOT NULL, last_day TEXT NOT NULL, row_count INTEGER NOT NULL, byte_count INTEGER NOT NULL,
    format INTEGER NOT NULL, added INTEGER NOT NULL REFERENCES versions, removed INTEGER REFERENCES versions);
INSERT INTO "files" VALUES(1,'points/additive/2023-12-9a8ff3e2495f.parquet','additive','','2023-12-01','2023-12-31',58,4012,1,1,NULL);
INSERT INTO "files" VALUES(2,'points/additive/2024-01-495cab637a88.parquet','additive','','2024-01-01','2024-01-31',34,3987,1,1,2);
INSERT INTO "files" VALUES(3,'points/ids/payers/2023-12-fefe24d8b6a6.parquet','ids','payers','2023-12-01','2023-12-31',23,2746,1,1,NULL);
INSERT INTO "files" VALUES(4,'points/ids/payers/2024-01-fa75faa64b85.parquet','ids','payers','2024-01-01','2024-01-31',13,2726,1,1,2);
INSERT INTO "files" VALUES(5,'points/additive/2024-01-7ad45c65c864.parquet','additive','','2024-01-01','2024-01-31',41,4011,1,2,NULL);
INSERT INTO "files" VALUES(6,'points/ids/payers/2024-01-65e451b37a90.parquet','ids','payers','2024-01-01','2024-01-31',15,2734,1,2,NULL);
CREATE TABLE leases (
    job TEXT PRIMARY KEY, holder TEXT, fence INTEGER NOT NULL, heartbeat TEXT NOT NULL, expires TEXT NOT NULL);
INSERT INTO "leases" VALUES('collect',NULL,2,'2024-01-10T06:00:00.000000Z','2024-01-10T06:01:00.000000Z');
CREATE TABLE metric_keys (name TEXT PRIMARY KEY, key TEXT NOT NULL);
CREATE TABLE revisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, metric TEXT NOT NULL, definition TEXT NOT NULL, day TEXT NOT NULL,
    series TEXT NOT NULL, old TEXT, new TEXT, run INTEGER, at TEXT NOT NULL);
INSERT INTO "revisions" VALUES(1,'revenue','c65973ea33f4','2024-01-07','{"plan": "pro"}','18.25','19.25',2,'2024-01-10T06:00:00.000000Z');
CREATE TABLE runs (
    run INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL, started TEXT NOT NULL, finished TEXT,
    status TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL, report TEXT NOT NULL DEFAULT '{}');
INSERT INTO "runs" VALUES(1,'collect','2024-01-08T06:00:00.000000Z','2024-01-08T06:00:00.000000Z','done','old',10767,'{"run": 1, "status": "done", "exit_code": 0, "version": 1, "seconds": 1.721, "metrics": [{"metric": "signups", "source": "app", "definition": "6ce956de7ff2", "days": 19, "first": "2023-12-20", "last": "2024-01-07", "points": 36, "seconds": 1.218, "plan": "one scan"}, {"metric": "revenue", "source": "app", "definition": "c65973ea33f4", "days": 19, "first": "2023-12-20", "last": "2024-01-07", "points": 36, "seconds": 0.047, "plan": "one scan"}, {"metric": "payers", "source": "app", "definition": "4dcae5c8fd16", "days": 19, "first": "2023-12-20", "last": "2024-01-07", "points": 55, "seconds": 0.05, "plan": "one scan"}, {"metric": "users_today", "source": "app", "definition": "5669bd6db695", "days": 1, "first": "2024-01-07", "last": "2024-01-07", "points": 1, "seconds": 0.031}]}');
INSERT INTO "runs" VALUES(2,'collect','2024-01-10T06:00:00.000000Z','2024-01-10T06:00:00.000000Z','done','old',10767,'{"run": 2, "status": "done", "exit_code": 0, "version": 2, "seconds": 0.298, "metrics": [{"metric": "signups", "source": "app", "definition": "6ce956de7ff2", "days": 3, "first": "2024-01-07", "last": "2024-01-09", "points": 3, "seconds": 0.019, "plan": "one scan"}, {"metric": "revenue", "source": "app", "definition": "c65973ea33f4", "days": 3, "first": "2024-01-07", "last": "2024-01-09", "points": 3, "revisions": 1, "seconds": 0.022, "plan": "one scan"}, {"metric": "payers", "source": "app", "definition": "4dcae5c8fd16", "days": 3, "first": "2024-01-07", "last": "2024-01-09", "points": 6, "seconds": 0.025, "plan": "one scan"}, {"metric": "users_today", "source": "app", "definition": "5669bd6db695", "days": 1, "first": "2024-01-09", "last": "2024-01-09", "points": 1, "seconds": 0.019}]}');
CREATE TABLE versions (
    version INTEGER PRIMARY KEY, at TEXT NOT NULL, run INTEGER, what TEXT NOT NULL);
INSERT INTO "versions" VALUES(0,'0001-01-01T00:00:00.000000Z',NULL,'empty');
INSERT INTO "versions" VALUES(1,'2024-01-08T06:00:00.000000Z',1,'collect');
INSERT INTO "versions" VALUES(2,'2024-01-10T06:00:00.000000Z',2,'collect');
CREATE INDEX files_current ON files (removed, added);
CREATE INDEX revisions_metric ON revisions (metric, day);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',2);
INSERT INTO "sqlite_sequence" VALUES('files',6);
INSERT INTO "sqlite_sequence" VALUES('revisions',1);
COMMIT;
PRAGMA user_version = 1;
