-- The email that tells users that their data is being exported.

alter type mail_kind add value 'DATA_EXPORT';

select seal_schema();
