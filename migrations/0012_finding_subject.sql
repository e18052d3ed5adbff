-- Which difference a finding is. Its description holds words that move (who says it, hashes, counts, the newest block), so
-- the same difference, told in other words, was taken for another one and what was open for repaired.

ALTER TABLE verification_finding ADD COLUMN subject text NOT NULL DEFAULT '';
COMMENT ON COLUMN verification_finding.subject IS 'Which difference of its kind and last block it is; empty where there can be but one. Nothing in it moves.';
COMMENT ON COLUMN verification_finding.description IS 'What is stored, what the chain shows, and who says so, as it was told last.';

-- What was told before keeps its words, and the subject is read from them.
UPDATE verification_finding SET subject = CASE kind
    WHEN 'LOG_DIFFERENT' THEN regexp_replace(description, '^(log \d+) is stored with another .*$', '\1')
    WHEN 'ROW' THEN regexp_replace(description, '^(\w+): .* \((log \d+)\)$', '\1 \2')
    WHEN 'AGENT_GAP' THEN regexp_replace(description, '^agent ids have a hole (below \d+), .*$', 'agent ids \1')
    WHEN 'FEEDBACK_GAP' THEN regexp_replace(description,
        '^feedback indexes of (agent \d+) and (client \w+) have a hole (below \d+), .*$', '\1 \2 feedback indexes \3')
    WHEN 'CALL' THEN regexp_replace(description, '^(\S+) of (agent \d+) and (client \w+) answers .*$', '\2 \3 \1')
    ELSE '' END;

-- One row for each that is open: that of the best method, because only as good a look may close it; then the first.
DELETE FROM verification_finding f USING (
    SELECT chain_id, finding_id, row_number() OVER (
        PARTITION BY chain_id, kind, to_block, subject
        ORDER BY array_position(ARRAY['RECEIPTS_ROOT', 'BLOOM', 'LOGS_AGAIN'], method), finding_id) AS place
    FROM verification_finding WHERE repaired_at IS NULL) open
WHERE (f.chain_id, f.finding_id) = (open.chain_id, open.finding_id) AND open.place > 1;

DROP INDEX verification_finding_open;
CREATE UNIQUE INDEX verification_finding_open ON verification_finding (chain_id, kind, to_block, md5(subject))
    WHERE repaired_at IS NULL;
