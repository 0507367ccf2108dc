CREATE TABLE trueup_schema (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT trueup_schema_pkc PRIMARY KEY (version_num)
)

CREATE TABLE trueup_runs (
	group_name TEXT NOT NULL,
	id TEXT NOT NULL,
	kind TEXT NOT NULL,
	started_at FLOAT NOT NULL,
	settings TEXT NOT NULL,
	finished_at FLOAT,
	verdict TEXT,
	report TEXT,
	PRIMARY KEY (group_name, id)
)

CREATE INDEX trueup_runs_recent ON trueup_runs (group_name, started_at)

CREATE TABLE trueup_run_chunks (
	group_name TEXT NOT NULL,
	run_id TEXT NOT NULL,
	schema_name TEXT NOT NULL,
	table_name TEXT NOT NULL,
	chunk_index INTEGER NOT NULL,
	follower TEXT NOT NULL,
	lower TEXT,
	upper TEXT,
	verdict TEXT NOT NULL,
	leader_rows INTEGER NOT NULL,
	leader_checksum TEXT NOT NULL,
	follower_rows INTEGER NOT NULL,
	follower_checksum TEXT NOT NULL,
	drifted INTEGER NOT NULL,
	unsettled INTEGER NOT NULL,
	reason TEXT,
	seconds FLOAT NOT NULL,
	at FLOAT NOT NULL,
	PRIMARY KEY (group_name, run_id, schema_name, table_name, chunk_index, follower),
	CONSTRAINT trueup_run_chunks_belongs FOREIGN KEY(group_name, run_id) REFERENCES trueup_runs (group_name, id) ON DELETE CASCADE
)

CREATE TABLE trueup_run_tables (
	group_name TEXT NOT NULL,
	run_id TEXT NOT NULL,
	schema_name TEXT NOT NULL,
	table_name TEXT NOT NULL,
	summary TEXT NOT NULL,
	PRIMARY KEY (group_name, run_id, schema_name, table_name),
	CONSTRAINT trueup_run_tables_belongs FOREIGN KEY(group_name, run_id) REFERENCES trueup_runs (group_name, id) ON DELETE CASCADE
)

CREATE TABLE trueup_run_drifts (
	sequence INTEGER NOT NULL,
	group_name TEXT NOT NULL,
	run_id TEXT NOT NULL,
	id TEXT NOT NULL,
	follower TEXT NOT NULL,
	schema_name TEXT NOT NULL,
	table_name TEXT NOT NULL,
	"key" TEXT NOT NULL,
	kind TEXT NOT NULL,
	columns TEXT NOT NULL,
	certainty TEXT NOT NULL,
	method TEXT NOT NULL,
	positions TEXT NOT NULL,
	found_at FLOAT NOT NULL, cause TEXT, since TEXT,
	PRIMARY KEY (sequence),
	CONSTRAINT trueup_run_drifts_belongs FOREIGN KEY(group_name, run_id) REFERENCES trueup_runs (group_name, id) ON DELETE CASCADE,
	CONSTRAINT trueup_run_drifts_once UNIQUE (group_name, run_id, id)
)

CREATE INDEX trueup_run_drifts_order ON trueup_run_drifts (group_name, run_id, schema_name, table_name, sequence)

CREATE TABLE trueup_drifts (
	group_name TEXT NOT NULL,
	id TEXT NOT NULL,
	follower TEXT NOT NULL,
	schema_name TEXT NOT NULL,
	table_name TEXT NOT NULL,
	"key" TEXT NOT NULL,
	kind TEXT NOT NULL,
	columns TEXT NOT NULL,
	certainty TEXT NOT NULL,
	method TEXT NOT NULL,
	positions TEXT NOT NULL,
	found_at FLOAT NOT NULL,
	state TEXT NOT NULL,
	first_found_at FLOAT NOT NULL,
	last_seen_at FLOAT NOT NULL,
	cleared_at FLOAT, cause TEXT, since TEXT, history TEXT, finding INTEGER,
	PRIMARY KEY (group_name, id)
)

CREATE INDEX trueup_drifts_oldest ON trueup_drifts (group_name, state, first_found_at, id)

CREATE INDEX trueup_drifts_place ON trueup_drifts (group_name, state, follower, schema_name, table_name, last_seen_at)

CREATE TABLE trueup_stream (
	group_name TEXT NOT NULL,
	offsets TEXT NOT NULL,
	read_through TEXT,
	generation INTEGER NOT NULL,
	PRIMARY KEY (group_name)
)

CREATE TABLE trueup_touched (
	group_name TEXT NOT NULL,
	follower TEXT NOT NULL,
	key_hash TEXT NOT NULL,
	schema_name TEXT NOT NULL,
	table_name TEXT NOT NULL,
	"key" TEXT NOT NULL,
	commit_position TEXT NOT NULL,
	generation INTEGER NOT NULL,
	touched_at FLOAT NOT NULL,
	PRIMARY KEY (group_name, follower, key_hash)
)
 WITHOUT ROWID

CREATE INDEX trueup_touched_oldest ON trueup_touched (group_name, follower, generation)

CREATE TABLE trueup_blind (
	group_name TEXT NOT NULL,
	schema_name TEXT NOT NULL,
	table_name TEXT NOT NULL,
	cause TEXT NOT NULL,
	detail TEXT NOT NULL,
	at FLOAT NOT NULL,
	PRIMARY KEY (group_name, schema_name, table_name)
)

CREATE TABLE trueup_sighted (
	group_name TEXT NOT NULL,
	schema_name TEXT NOT NULL,
	table_name TEXT NOT NULL,
	since FLOAT NOT NULL,
	PRIMARY KEY (group_name, schema_name, table_name)
)

CREATE TABLE trueup_scan_chunks (
	group_name TEXT NOT NULL,
	schema_name TEXT NOT NULL,
	table_name TEXT NOT NULL,
	chunk_index INTEGER NOT NULL,
	follower TEXT NOT NULL,
	lower TEXT,
	upper TEXT,
	verdict TEXT NOT NULL,
	leader_rows INTEGER NOT NULL,
	leader_checksum TEXT NOT NULL,
	follower_rows INTEGER NOT NULL,
	follower_checksum TEXT NOT NULL,
	drifted INTEGER NOT NULL,
	unsettled INTEGER NOT NULL,
	reason TEXT,
	seconds FLOAT NOT NULL,
	at FLOAT NOT NULL,
	PRIMARY KEY (group_name, schema_name, table_name, chunk_index, follower)
)

CREATE INDEX trueup_scan_chunks_oldest ON trueup_scan_chunks (group_name, schema_name, table_name, at)

CREATE TABLE trueup_groups (
	group_name TEXT NOT NULL,
	audit_sequence INTEGER NOT NULL,
	audit_hash TEXT NOT NULL, findings INTEGER, mask_salt TEXT,
	PRIMARY KEY (group_name)
)

CREATE TABLE trueup_repairs (
	sequence INTEGER NOT NULL,
	group_name TEXT NOT NULL,
	id TEXT NOT NULL,
	drift_id TEXT NOT NULL,
	follower TEXT NOT NULL,
	schema_name TEXT NOT NULL,
	table_name TEXT NOT NULL,
	"key" TEXT NOT NULL,
	kind TEXT NOT NULL,
	action TEXT NOT NULL,
	wanted TEXT,
	expected TEXT,
	planned_at FLOAT NOT NULL,
	state TEXT NOT NULL,
	changed_at FLOAT NOT NULL,
	actor TEXT NOT NULL,
	note TEXT NOT NULL,
	applied_at FLOAT,
	PRIMARY KEY (sequence),
	CONSTRAINT trueup_repairs_once UNIQUE (group_name, id)
)

CREATE INDEX trueup_repairs_applied ON trueup_repairs (group_name, applied_at)

CREATE INDEX trueup_repairs_state ON trueup_repairs (group_name, state, sequence)

CREATE TABLE trueup_outbox (
	sequence INTEGER NOT NULL,
	group_name TEXT NOT NULL,
	id TEXT NOT NULL,
	topic TEXT NOT NULL,
	"key" TEXT NOT NULL,
	body TEXT NOT NULL,
	sent_at FLOAT,
	PRIMARY KEY (sequence),
	CONSTRAINT trueup_outbox_once UNIQUE (group_name, id)
)

CREATE INDEX trueup_outbox_pending ON trueup_outbox (group_name, sent_at, sequence)

CREATE TABLE trueup_audit (
	group_name TEXT NOT NULL,
	sequence INTEGER NOT NULL,
	at FLOAT NOT NULL,
	actor TEXT NOT NULL,
	action TEXT NOT NULL,
	subject TEXT NOT NULL,
	detail TEXT NOT NULL,
	previous TEXT NOT NULL,
	hash TEXT NOT NULL,
	PRIMARY KEY (group_name, sequence)
)

CREATE TABLE trueup_leases (
	group_name TEXT NOT NULL,
	name TEXT NOT NULL,
	owner TEXT NOT NULL,
	token INTEGER NOT NULL,
	expires_at FLOAT NOT NULL,
	PRIMARY KEY (group_name, name)
)

CREATE TRIGGER trueup_audit_no_update BEFORE UPDATE ON trueup_audit BEGIN SELECT RAISE(ABORT, 'the audit chain is append-only'); END

CREATE TRIGGER trueup_audit_no_delete BEFORE DELETE ON trueup_audit BEGIN SELECT RAISE(ABORT, 'the audit chain is append-only'); END

CREATE TRIGGER trueup_audit_no_replace BEFORE INSERT ON trueup_audit WHEN EXISTS (SELECT 1 FROM trueup_audit WHERE group_name = NEW.group_name AND sequence = NEW.sequence) BEGIN SELECT RAISE(ABORT, 'the audit chain is append-only'); END

CREATE TABLE trueup_pauses (
	group_name TEXT NOT NULL,
	schema_name TEXT NOT NULL,
	table_name TEXT NOT NULL,
	since FLOAT NOT NULL,
	actor TEXT NOT NULL,
	PRIMARY KEY (group_name, schema_name, table_name)
)

CREATE TABLE trueup_marks (
	group_name TEXT NOT NULL,
	source TEXT NOT NULL,
	key_hash TEXT NOT NULL,
	schema_name TEXT NOT NULL,
	table_name TEXT NOT NULL,
	"key" TEXT,
	sequence INTEGER NOT NULL,
	at FLOAT NOT NULL,
	PRIMARY KEY (group_name, source, key_hash)
)
 WITHOUT ROWID

CREATE INDEX trueup_marks_since ON trueup_marks (group_name, source, schema_name, table_name, sequence)

CREATE TABLE trueup_sources (
	group_name TEXT NOT NULL,
	source TEXT NOT NULL,
	offsets TEXT NOT NULL,
	read_through TEXT,
	sequence INTEGER NOT NULL,
	PRIMARY KEY (group_name, source)
)

CREATE TABLE trueup_baselines (
	group_name TEXT NOT NULL,
	run_id TEXT NOT NULL,
	source TEXT NOT NULL,
	sequence INTEGER NOT NULL,
	told TEXT NOT NULL,
	PRIMARY KEY (group_name, run_id, source),
	CONSTRAINT trueup_baselines_belongs FOREIGN KEY(group_name, run_id) REFERENCES trueup_runs (group_name, id) ON DELETE CASCADE
)

CREATE TABLE trueup_dirty (
	group_name TEXT NOT NULL,
	range_hash TEXT NOT NULL,
	schema_name TEXT NOT NULL,
	table_name TEXT NOT NULL,
	lower TEXT,
	upper TEXT,
	commit_position TEXT NOT NULL,
	generation INTEGER NOT NULL,
	since FLOAT NOT NULL,
	at FLOAT NOT NULL,
	PRIMARY KEY (group_name, range_hash)
)

CREATE INDEX trueup_dirty_oldest ON trueup_dirty (group_name, since)

CREATE INDEX trueup_drifts_finding ON trueup_drifts (group_name, state, follower, finding)

CREATE INDEX trueup_repairs_drift ON trueup_repairs (group_name, drift_id)

CREATE TABLE trueup_lost (
	group_name TEXT NOT NULL,
	schema_name TEXT NOT NULL,
	table_name TEXT NOT NULL,
	follower TEXT NOT NULL,
	cause TEXT,
	detail TEXT,
	at FLOAT,
	since FLOAT,
	PRIMARY KEY (group_name, schema_name, table_name, follower)
)
