-- Two who ask the same get the same answer with the same id, which follows from
-- the content: an answer is known by its id and its owner.

CREATE TABLE owned_answers (
    id TEXT NOT NULL,
    owner TEXT NOT NULL,
    collection TEXT NOT NULL,
    question TEXT NOT NULL,
    status TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    body TEXT NOT NULL,
    replay TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (id, owner)
);
INSERT INTO owned_answers
SELECT id, owner, collection, question, status, snapshot, body, replay, created_at FROM answers;

CREATE TABLE owned_feedback (
    answer TEXT NOT NULL,
    owner TEXT NOT NULL,
    rating BIGINT NOT NULL,
    comment TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (answer, owner),
    FOREIGN KEY (answer, owner) REFERENCES owned_answers (id, owner) ON DELETE CASCADE
);
INSERT INTO owned_feedback
SELECT answer, owner, rating, comment, created_at FROM feedback
WHERE EXISTS (SELECT 1 FROM answers WHERE id = answer AND answers.owner = feedback.owner);

DROP TABLE feedback;
DROP TABLE answers;
ALTER TABLE owned_answers RENAME TO answers;
ALTER TABLE owned_feedback RENAME TO feedback;
CREATE INDEX answers_of_owner ON answers (owner, created_at, id);

-- Responses of the API of that name. The items are those of the request and of
-- the reply, as JSON; those before are found through `previous`.
CREATE TABLE responses (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    model TEXT NOT NULL,
    previous TEXT,
    items TEXT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
