BEGIN TRANSACTION;
CREATE TABLE alerts (cause TEXT PRIMARY KEY, metric TEXT, state TEXT NOT NULL);
CREATE TABLE coverage (
    metric TEXT NOT NULL, definition TEXT NOT NULL, day TEXT NOT NULL, run INTEGER, instant TEXT,
    added INTEGER NOT NULL REFERENCES versions, removed INTEGER REFERENCES versions,
    PRIMARY KEY (metric, definition, day, added)) WITHOUT ROWID;
INSERT INTO "coverage" VALUES('cpu','03b3114b4fa7','2024-01-29',1,NULL,1,NULL);
INSERT INTO "coverage" VALUES('cpu','03b3114b4fa7','2024-01-30',2,NULL,1,NULL);
INSERT INTO "coverage" VALUES('cpu','03b3114b4fa7','2024-01-31',2,NULL,2,NULL);
INSERT INTO "coverage" VALUES('cpu','03b3114b4fa7','2024-02-01',2,NULL,2,NULL);
INSERT INTO "coverage" VALUES('deviation','13f6ce39dd99','2024-01-29',1,NULL,1,NULL);
INSERT INTO "coverage" VALUES('deviation','13f6ce39dd99','2024-01-30',2,NULL,1,NULL);
INSERT INTO "coverage" VALUES('deviation','13f6ce39dd99','2024-01-31',2,NULL,2,NULL);
INSERT INTO "coverage" VALUES('deviation','13f6ce39dd99','2024-02-01',2,NULL,2,NULL);
INSERT INTO "coverage" VALUES('noisiest','068bedf923e1','2024-01-29',1,NULL,1,NULL);
INSERT INTO "coverage" VALUES('noisiest','068bedf923e1','2024-01-30',2,NULL,1,NULL);
INSERT INTO "coverage" VALUES('noisiest','068bedf923e1','2024-01-31',2,NULL,2,NULL);
INSERT INTO "coverage" VALUES('noisiest','068bedf923e1','2024-02-01',2,NULL,2,NULL);
INSERT INTO "coverage" VALUES('prices','30b3bf22a608','2024-01-29',1,NULL,1,NULL);
INSERT INTO "coverage" VALUES('prices','30b3bf22a608','2024-01-30',2,NULL,1,NULL);
INSERT INTO "coverage" VALUES('prices','30b3bf22a608','2024-01-31',2,NULL,2,NULL);
INSERT INTO "coverage" VALUES('prices','30b3bf22a608','2024-02-01',2,NULL,2,NULL);
INSERT INTO "coverage" VALUES('readings','814e5d36acc6','2024-01-29',1,NULL,1,NULL);
INSERT INTO "coverage" VALUES('readings','814e5d36acc6','2024-01-30',2,NULL,1,NULL);
INSERT INTO "coverage" VALUES('readings','814e5d36acc6','2024-01-31',2,NULL,2,NULL);
INSERT INTO "coverage" VALUES('readings','814e5d36acc6','2024-02-01',2,NULL,2,NULL);
CREATE TABLE definitions (
    metric TEXT NOT NULL, definition TEXT NOT NULL, declared TEXT NOT NULL, body TEXT NOT NULL,
    created TEXT NOT NULL, used TEXT NOT NULL,
    PRIMARY KEY (metric, definition));
INSERT INTO "definitions" VALUES('readings','814e5d36acc6','67bc8006c1a5','{"metric":{"name":"readings","kind":"flow","source":"app","table":"readings","sql":null,"join":[],"where":null,"time":"at","stored":null,"stored_zone":null,"from_":null,"until":null,"until_inclusive":false,"measure":"count(*)","function":null,"by":["name"],"series":[],"per":null,"then":null,"daily_aggregate":false,"received":null,"changed":null,"history":null,"carry":0,"over_time":null,"unit":null,"title":null,"description":null,"format":null,"decimals":null,"max_series":100000,"renamed_from":null,"snapshot_grace":43200.0,"start":null,"lookback":null,"alerts":true,"parsed":{"text":"count ( * )","shell":["slot",0],"slots":[{"agg":"count","args":[],"filter":null,"q":null,"counts_null":false}],"operands":[]},"function_hash":null},"definition":"814e5d36acc6","key":"readings","zone":"UTC","forms":{"time.at":"naive UTC","slot.0":"integer"},"slots":[{"type":"integer","ids":"","k":0.0}],"imported":""}','2024-01-31T06:00:00.000000Z','2024-02-02T06:00:00.000000Z');
INSERT INTO "definitions" VALUES('deviation','13f6ce39dd99','60ca193b7c7b','{"metric":{"name":"deviation","kind":"flow","source":"app","table":"readings","sql":null,"join":[],"where":null,"time":"at","stored":null,"stored_zone":null,"from_":null,"until":null,"until_inclusive":false,"measure":"stddev(value)","function":null,"by":["name"],"series":[],"per":null,"then":null,"daily_aggregate":false,"received":null,"changed":null,"history":null,"carry":0,"over_time":null,"unit":null,"title":null,"description":null,"format":null,"decimals":null,"max_series":100000,"renamed_from":null,"snapshot_grace":43200.0,"start":null,"lookback":null,"alerts":true,"parsed":{"text":"stddev ( value )","shell":["slot",0],"slots":[{"agg":"stddev_samp","args":["value"],"filter":null,"q":null,"counts_null":false}],"operands":[]},"function_hash":null},"definition":"13f6ce39dd99","key":"deviation","zone":"UTC","forms":{"time.at":"naive UTC","slot.0":"float"},"slots":[{"type":"float","ids":"","k":4030750050.0}],"imported":""}','2024-01-31T06:00:00.000000Z','2024-02-02T06:00:00.000000Z');
INSERT INTO "definitions" VALUES('noisiest','068bedf923e1','308b27bd7af2','{"metric":{"name":"noisiest","kind":"flow","source":"app","table":"readings","sql":null,"join":[],"where":null,"time":"at","stored":null,"stored_zone":null,"from_":null,"until":null,"until_inclusive":false,"measure":"stddev(value)","function":null,"by":[],"series":[],"per":"name","then":"max","daily_aggregate":false,"received":null,"changed":null,"history":null,"carry":0,"over_time":null,"unit":null,"title":null,"description":null,"format":null,"decimals":null,"max_series":100000,"renamed_from":null,"snapshot_grace":43200.0,"start":null,"lookback":null,"alerts":true,"parsed":{"text":"stddev ( value )","shell":["slot",0],"slots":[{"agg":"stddev_samp","args":["value"],"filter":null,"q":null,"counts_null":false}],"operands":[]},"function_hash":null},"definition":"068bedf923e1","key":"noisiest","zone":"UTC","forms":{"time.at":"naive UTC","slot.0":"float"},"slots":[{"type":"float","ids":"","k":4030750050.0}],"imported":""}','2024-01-31T06:00:00.000000Z','2024-02-02T06:00:00.000000Z');
INSERT INTO "definitions" VALUES('cpu','03b3114b4fa7','e0432c9534e2','{"metric":{"name":"cpu","kind":"flow","source":"app","table":"readings","sql":null,"join":[],"where":"name = ''cpu''","time":"at","stored":null,"stored_zone":null,"from_":null,"until":null,"until_inclusive":false,"measure":"var_pop(value)","function":null,"by":[],"series":[],"per":null,"then":null,"daily_aggregate":false,"received":null,"changed":null,"history":null,"carry":0,"over_time":null,"unit":null,"title":null,"description":null,"format":null,"decimals":null,"max_series":100000,"renamed_from":null,"snapshot_grace":43200.0,"start":null,"lookback":null,"alerts":true,"parsed":{"text":"var_pop ( value )","shell":["slot",0],"slots":[{"agg":"var_pop","args":["value"],"filter":null,"q":null,"counts_null":false}],"operands":[]},"function_hash":null},"definition":"03b3114b4fa7","key":"cpu","zone":"UTC","forms":{"time.at":"naive UTC","slot.0":"float"},"slots":[{"type":"float","ids":"","k":102.05}],"imported":""}','2024-01-31T06:00:00.000000Z','2024-02-02T06:00:00.000000Z');
INSERT INTO "definitions" VALUES('prices','30b3bf22a608','aef6b3f63f58','{"metric":{"name":"prices","kind":"level","source":"app","table":"plans","sql":null,"join":[],"where":null,"time":null,"stored":null,"stored_zone":null,"from_":"began","until":"ended","until_inclusive":false,"measure":"stddev_pop(price)","function":null,"by":[],"series":[],"per":null,"then":null,"daily_aggregate":false,"received":null,"changed":null,"history":null,"carry":0,"over_time":null,"unit":null,"title":null,"description":null,"format":null,"decimals":null,"max_series":100000,"renamed_from":null,"snapshot_grace":43200.0,"start":null,"lookback":null,"alerts":true,"parsed":{"text":"stddev_pop ( price )","shell":["slot",0],"slots":[{"agg":"stddev_pop","args":["price"],"filter":null,"q":null,"counts_null":false}],"operands":[]},"function_hash":null},"definition":"30b3bf22a608","key":"prices","zone":"UTC","forms":{"time.began":"naive UTC","time.ended":"naive UTC","slot.0":"float"},"slots":[{"type":"float","ids":"","k":14.0}],"imported":""}','2024-01-31T06:00:00.000000Z','2024-02-02T06:00:00.000000Z');
CREATE TABLE deliveries (
    delivery TEXT PRIMARY KEY, version INTEGER NOT NULL, delivered TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT '{}');
CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, metric TEXT NOT NULL,
    first_day TEXT NOT NULL, last_day TEXT NOT NULL, row_count INTEGER NOT NULL, byte_count INTEGER NOT NULL,
    format INTEGER NOT NULL, added INTEGER NOT NULL REFERENCES versions, removed INTEGER REFERENCES versions,
    sha256 TEXT);
INSERT INTO "files" VALUES(1,'points/additive/2024-01-6eb7bb0235b0.parquet','additive','','2024-01-01','2024-01-31',16,7113,1,1,2,'569db23f4e0cdf43615cee28383141436c0601b2ccdc8a00e3dcf331e4a00ead');
INSERT INTO "files" VALUES(2,'points/additive/2024-01-1bcb45eba677.parquet','additive','','2024-01-01','2024-01-31',24,7138,1,2,NULL,'a14573881977bc528a07ddf1a0a37c66907eacc7396a67250bf46481969de259');
INSERT INTO "files" VALUES(3,'points/additive/2024-02-4b6e714c6c51.parquet','additive','','2024-02-01','2024-02-29',8,7057,1,2,NULL,'908e915f2fe23bb6dbe6bd30f2edc168330dbd521a42003c0a3053ca9afc063b');
CREATE TABLE followed (
    metric TEXT NOT NULL, definition TEXT NOT NULL, follows TEXT NOT NULL, seen TEXT NOT NULL,
    waiting TEXT NOT NULL, PRIMARY KEY (metric, definition)) WITHOUT ROWID;
CREATE TABLE leases (
    job TEXT PRIMARY KEY, holder TEXT, fence INTEGER NOT NULL, heartbeat TEXT NOT NULL,
    expires TEXT NOT NULL);
INSERT INTO "leases" VALUES('collect',NULL,2,'2024-02-02T06:00:00.000000Z','2024-02-02T06:01:00.000000Z');
CREATE TABLE metric_keys (name TEXT PRIMARY KEY, key TEXT NOT NULL);
CREATE TABLE revisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, metric TEXT NOT NULL, definition TEXT NOT NULL, day TEXT NOT NULL,
    series TEXT NOT NULL, old TEXT, new TEXT, run INTEGER, at TEXT NOT NULL);
CREATE TABLE runs (
    run INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL, started TEXT NOT NULL, finished TEXT,
    status TEXT NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL, report TEXT NOT NULL DEFAULT '{}');
INSERT INTO "runs" VALUES(1,'collect','2024-01-31T06:00:00.000000Z','2024-01-31T06:00:00.000000Z','done','vm',30063,'{"run": 1, "status": "done", "exit_code": 0, "version": 1, "seconds": 2.58, "metrics": [{"metric": "readings", "source": "app", "definition": "814e5d36acc6", "days": 2, "first": "2024-01-29", "last": "2024-01-30", "points": 4, "seconds": 0.639, "plan": "one scan"}, {"metric": "deviation", "source": "app", "definition": "13f6ce39dd99", "days": 2, "first": "2024-01-29", "last": "2024-01-30", "points": 4, "seconds": 0.639, "plan": "one scan"}, {"metric": "cpu", "source": "app", "definition": "03b3114b4fa7", "days": 2, "first": "2024-01-29", "last": "2024-01-30", "points": 2, "seconds": 0.03, "plan": "one scan"}, {"metric": "prices", "source": "app", "definition": "30b3bf22a608", "days": 2, "first": "2024-01-29", "last": "2024-01-30", "points": 2, "seconds": 0.07}, {"metric": "noisiest", "source": "app", "definition": "068bedf923e1", "days": 2, "first": "2024-01-29", "last": "2024-01-30", "points": 4, "seconds": 0.639, "plan": "one scan"}]}');
INSERT INTO "runs" VALUES(2,'collect','2024-02-02T06:00:00.000000Z','2024-02-02T06:00:00.000000Z','done','vm',30063,'{"run": 2, "status": "done", "exit_code": 0, "version": 2, "seconds": 0.439, "metrics": [{"metric": "readings", "source": "app", "definition": "814e5d36acc6", "days": 3, "first": "2024-01-30", "last": "2024-02-01", "points": 6, "seconds": 0.008, "plan": "one scan"}, {"metric": "deviation", "source": "app", "definition": "13f6ce39dd99", "days": 3, "first": "2024-01-30", "last": "2024-02-01", "points": 6, "seconds": 0.008, "plan": "one scan"}, {"metric": "cpu", "source": "app", "definition": "03b3114b4fa7", "days": 3, "first": "2024-01-30", "last": "2024-02-01", "points": 3, "seconds": 0.016, "plan": "one scan"}, {"metric": "prices", "source": "app", "definition": "30b3bf22a608", "days": 3, "first": "2024-01-30", "last": "2024-02-01", "points": 3, "seconds": 0.047}, {"metric": "noisiest", "source": "app", "definition": "068bedf923e1", "days": 3, "first": "2024-01-30", "last": "2024-02-01", "points": 6, "seconds": 0.008, "plan": "one scan"}]}');
CREATE TABLE versions (
    version INTEGER PRIMARY KEY, at TEXT NOT NULL, run INTEGER, what TEXT NOT NULL,
    cleaned INTEGER NOT NULL DEFAULT 0);
INSERT INTO "versions" VALUES(0,'0001-01-01T00:00:00.000000Z',NULL,'empty',0);
INSERT INTO "versions" VALUES(1,'2024-01-31T06:00:00.000000Z',1,'collect',0);
INSERT INTO "versions" VALUES(2,'2024-02-02T06:00:00.000000Z',2,'collect',0);
CREATE INDEX files_current ON files (removed, added);
CREATE INDEX revisions_metric ON revisions (metric, day);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',2);
INSERT INTO "sqlite_sequence" VALUES('files',3);
COMMIT;
PRAGMA user_version = 3;
