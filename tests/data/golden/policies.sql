-- tsql
SELECT SCHEMA_NAME(o.schema_id) + '.' + o.name FROM sys.security_predicates p JOIN sys.security_policies s ON s.object_id = p.object_id JOIN sys.objects o ON o.object_id = p.target_object_id WHERE s.is_enabled = 1 AND p.predicate_type_desc = 'FILTER';
SELECT v.name, m.definition FROM sys.views v JOIN sys.sql_modules m ON m.object_id = v.object_id;
-- oracle
SELECT OBJECT_OWNER || '.' || OBJECT_NAME FROM ALL_POLICIES WHERE ENABLE = 'YES' AND SEL = 'YES' AND SYS_CONTEXT('USERENV', 'SESSION_USER') <> 'SYS';
SELECT VIEW_NAME, TEXT_VC FROM ALL_VIEWS WHERE TEXT_VC IS NOT NULL AND OWNER <> 'SYS';
-- snowflake
SELECT REF_SCHEMA_NAME || '.' || REF_ENTITY_NAME FROM SNOWFLAKE.ACCOUNT_USAGE.POLICY_REFERENCES WHERE POLICY_KIND = 'ROW_ACCESS_POLICY' AND REF_DATABASE_NAME = CURRENT_DATABASE();
SELECT TABLE_NAME, VIEW_DEFINITION FROM INFORMATION_SCHEMA.VIEWS WHERE VIEW_DEFINITION IS NOT NULL;
