-- up
ALTER TABLE "members" ADD COLUMN "metadata" TEXT DEFAULT '{}';
-- down
ALTER TABLE "members" DROP COLUMN "metadata";
